/** What changes while the page is open: who is online, the caller's consultations, and what there is to know. */
import { useSyncExternalStore } from "react";
import type { Socket } from "socket.io-client";
import { invites, isMember } from "./faces";
import { json } from "./server";
import type { Session } from "./session";

export interface Person {
  id: string;
  name: string;
}

export interface Consultation {
  id: string;
  state: "ringing" | "active" | "ended" | "declined" | "cancelled" | "missed";
  doctor: Person;
  patient: Person;
  invited: Person[];
  created: string;
  started: string | null;
  ended: string | null;
  relay: string | null;
  recording: { state: "off" | "asked" | "on"; agreed: string[]; peer: string | null };
}

export interface Notice {
  kind: "study-arrived" | "report-signed" | "share-delivered" | "glass-broken";
  reference: string;
  patient: string;
  at: string;
  /** Whether it was looked at, or its time on the page is over: then it is in the list of notices alone. */
  seen?: boolean;
}

interface Live {
  connected: boolean;
  /** A doctor's own switch. */
  available: boolean;
  online: ReadonlySet<string>;
  consultations: Readonly<Record<string, Consultation>>;
  /** The consultation to which this doctor has been invited, until they answer. */
  invitation: string | null;
  notices: readonly Notice[];
  /** How many studies this page has heard of. */
  arrived: number;
}

const LATEST = 20;
const SHOWN = 12_000;
const nothing: Live = { connected: false, available: false, online: new Set(), consultations: {}, invitation: null, notices: [], arrived: 0 };
const listeners = new Set<() => void>();
let live = nothing;
let socket: Socket | undefined;
let holder: string | undefined;
/** Whose token that is: the id of the Patient or Practitioner. */
let self: string | undefined;

function change(next: Partial<Live>): void {
  live = { ...live, ...next };
  for (const listener of listeners) listener();
}

export function useLive(): Live {
  return useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => live,
  );
}

/** The socket of this tab, while somebody is signed in. */
export function connection(): Socket | undefined {
  return socket;
}

export function told(consultation: Consultation): void {
  const known = Object.entries({ ...live.consultations, [consultation.id]: consultation });
  change({ consultations: Object.fromEntries(known.filter(([, one]) => self === undefined || isMember(one, self))) });
}

/** The invitation has been taken, or not. */
export function answered(): void {
  change({ invitation: null });
}

/** Connect as this person, once; the client library comes only now. */
export async function connect({ token, role, id }: Session): Promise<void> {
  if (holder === token) return;
  disconnect();
  holder = token;
  self = id;
  const { io } = await import("socket.io-client");
  if (holder !== token) return;
  const made = io({ auth: { token }, transports: ["websocket"] });
  socket = made;
  made.on("connect", () => {
    change({ connected: true });
    made.emit("watch-presence", (answer: { ok: boolean; online?: string[] }) => change({ online: new Set(answer.online ?? []) }));
    if (live.available) made.emit("online-user");
    if (role !== "staff") void json<{ consultations: Consultation[] }>("/realtime/consultations").then(({ consultations }) => consultations.forEach(told), () => undefined);
  });
  made.on("disconnect", () => change({ connected: false }));
  made.on("presence", ({ online, offline }: { online: string[]; offline: string[] }) => {
    const next = new Set([...live.online, ...online]);
    for (const id of offline) next.delete(id);
    // who joins in another tab is not free any more: what was asked there is answered
    change({ online: next, invitation: offline.includes(id) ? null : live.invitation });
  });
  made.on("consultation", (consultation: Consultation) => {
    if (invites(live.consultations[consultation.id], consultation, id)) change({ invitation: consultation.id });
    told(consultation);
  });
  made.on("notification", (notice: Notice) => {
    change({ notices: [notice, ...live.notices].slice(0, LATEST), arrived: live.arrived + (notice.kind === "study-arrived" ? 1 : 0) });
    setTimeout(() => seen(notice), SHOWN);
  });
}

export function disconnect(): void {
  holder = undefined;
  self = undefined;
  socket?.disconnect();
  socket = undefined;
  if (live !== nothing) change(nothing);
}

/** A doctor can be called, or not. */
export function setAvailable(available: boolean): void {
  socket?.emit(available ? "online-user" : "offline-user");
  change({ available });
}

/** Take a notice off the page; it stays in the list. */
export function seen(notice: Notice): void {
  const same = (one: Notice) => one.reference === notice.reference && one.at === notice.at;
  change({ notices: live.notices.map((one) => (same(one) ? { ...one, seen: true } : one)) });
}

/** Empty the list of notices. */
export function clearNotices(): void {
  change({ notices: [] });
}
