import { lazy, type ReactNode, StrictMode, Suspense } from "react";
import { useTranslation } from "react-i18next";
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { createBrowserRouter, Link, Navigate, RouterProvider, useRouteError } from "react-router";
import { Compass } from "lucide-react";
import { Direction } from "radix-ui";
import { ServerError } from "./server";
import { type Role, useSession } from "./session";
import { buttonClass } from "./ui/controls";
import { Heading, Layout } from "./ui/layout";
import { Empty, Failure, Skeleton } from "./ui/states";
import { SignIn } from "./pages/sign-in";

const queries = new QueryClient({
  defaultOptions: {
    queries: {
      staleTime: 15_000,
      gcTime: 300_000,
      retry: (failures, error) => failures < 2 && !(error instanceof ServerError && error.status >= 400 && error.status < 500),
    },
  },
});

const page = <K extends string>(load: () => Promise<Record<K, React.ComponentType>>, name: K) => lazy(async () => ({ default: (await load())[name] }));
const History = page(() => import("./pages/history"), "History");
const Summary = page(() => import("./pages/summary"), "Summary");
const Doctors = page(() => import("./pages/doctors"), "Doctors");
const Access = page(() => import("./pages/access"), "Access");
const Day = page(() => import("./pages/day"), "Day");
const Patients = page(() => import("./pages/patients"), "Patients");
const Chart = page(() => import("./pages/chart"), "Chart");
const Records = page(() => import("./pages/records"), "Records");
const Overview = page(() => import("./pages/overview"), "Overview");
const Manage = page(() => import("./pages/manage"), "Manage");
const Partners = page(() => import("./pages/partners"), "Partners");
const Inbox = page(() => import("./pages/inbox"), "Inbox");
const Outbox = page(() => import("./pages/outbox"), "Outbox");
const Audit = page(() => import("./pages/audit"), "Audit");
const Sharing = page(() => import("./pages/sharing"), "Sharing");
const Quarantine = page(() => import("./pages/quarantine"), "Quarantine");
const Register = page(() => import("./pages/register"), "Register");
const Reset = page(() => import("./pages/reset"), "Reset");
const Profile = page(() => import("./pages/account"), "Profile");
const Report = page(() => import("./pages/report"), "Report");
const Consultation = page(() => import("./pages/consultation"), "Consultation");
const Call = page(() => import("./pages/call"), "Call");
const Devices = page(() => import("./pages/device-check"), "Devices");
const Study = page(() => import("./viewer/study"), "Study");

const homes: Record<Role, ReactNode> = { patient: <History />, doctor: <Day />, staff: <Overview /> };

/** A page for these roles only; others are shown that there is none. */
function For({ roles, children }: { roles: Role[]; children: ReactNode }) {
  const signedIn = useSession();
  return signedIn && roles.includes(signedIn.role) ? children : <Missing />;
}

function Home() {
  const signedIn = useSession();
  return signedIn && homes[signedIn.role];
}

function SignedIn() {
  return useSession() ? <Layout /> : <Navigate to="/app/sign-in" replace />;
}

function SignedOut({ children }: { children: ReactNode }) {
  return useSession() ? <Navigate to="/app" replace /> : <Suspense fallback={<Skeleton />}>{children}</Suspense>;
}

function Missing() {
  const { t } = useTranslation();
  return (
    <>
      <Heading title={t("missing.title")} />
      <Empty title={t("missing.text")} icon={<Compass className="size-6" />}>
        <Link to="/app" className={buttonClass("primary", "mt-3")}>
          {t("missing.home")}
        </Link>
      </Empty>
    </>
  );
}

function Crashed() {
  const error = useRouteError();
  return (
    <main className="mx-auto max-w-xl p-8">
      <Failure error={error} retry={() => location.reload()} />
    </main>
  );
}

const clinical: Role[] = ["patient", "doctor"];

const router = createBrowserRouter([
  { path: "/", element: <Navigate to="/app" replace /> },
  {
    path: "/app",
    errorElement: <Crashed />,
    children: [
      { path: "sign-in", element: <SignedOut><SignIn /></SignedOut> },
      { path: "register", element: <SignedOut><Register /></SignedOut> },
      { path: "reset", element: <SignedOut><Reset /></SignedOut> },
      {
        element: <SignedIn />,
        children: [
          { index: true, element: <Home /> },
          { path: "profile", element: <Profile /> },
          { path: "reports/:id", element: <For roles={clinical}><Report /></For> },
          { path: "studies/:id", element: <For roles={clinical}><Study /></For> },
          { path: "consultations/:id", element: <For roles={clinical}><Consultation /></For> },
          { path: "calls/:id", element: <For roles={clinical}><Call /></For> },
          { path: "devices", element: <For roles={clinical}><Devices /></For> },
          { path: "doctors", element: <For roles={["patient"]}><Doctors /></For> },
          { path: "access", element: <For roles={["patient"]}><Access /></For> },
          { path: "sharing", element: <For roles={["patient"]}><Sharing /></For> },
          { path: "summary", element: <For roles={["patient"]}><Summary /></For> },
          { path: "patients", element: <For roles={["doctor"]}><Patients /></For> },
          { path: "patients/:id/summary", element: <For roles={["doctor"]}><Summary /></For> },
          { path: "patients/:id", element: <For roles={["doctor"]}><Chart /></For> },
          { path: "records", element: <For roles={["doctor"]}><Records /></For> },
          { path: "manage/:kind", element: <For roles={["staff"]}><Manage /></For> },
          { path: "partners", element: <For roles={["staff"]}><Partners /></For> },
          { path: "inbox", element: <For roles={["staff"]}><Inbox /></For> },
          { path: "outbox", element: <For roles={["staff"]}><Outbox /></For> },
          { path: "quarantine", element: <For roles={["staff"]}><Quarantine /></For> },
          { path: "audit", element: <For roles={["staff"]}><Audit /></For> },
          { path: "*", element: <Missing /> },
        ],
      },
    ],
  },
]);

export function App() {
  const { i18n } = useTranslation();
  return (
    <StrictMode>
      <QueryClientProvider client={queries}>
        <Direction.Provider dir={i18n.dir()}>
          <RouterProvider router={router} />
        </Direction.Provider>
      </QueryClientProvider>
    </StrictMode>
  );
}
