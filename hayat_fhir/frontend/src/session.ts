import { useSyncExternalStore } from "react";

export type Role = "patient" | "doctor" | "staff";

/** Who is signed in. `id` is the id of the Patient or Practitioner that stands for the person. */
export interface Session {
  token: string;
  role: Role;
  id: string;
  name: string;
  /** While a glass is broken: the token that opens what is restricted, and of each patient until when. */
  emergency?: { token: string; patients: Record<string, string> };
}

const KEY = "hayat.session";
const listeners = new Set<() => void>();
let current = stored();

function stored(): Session | null {
  try {
    return JSON.parse(sessionStorage.getItem(KEY) ?? "null") as Session | null;
  } catch {
    return null;
  }
}

export function session(): Session | null {
  return current;
}

/** The token of the emergency while one of its patients is open, else the session's own. */
export function bearer(): string | undefined {
  const emergency = current?.emergency;
  const open = emergency && Object.values(emergency.patients).some((until) => Date.parse(until) > Date.now());
  return open ? emergency.token : current?.token;
}

/** Keep a session for this tab, or end it with null. */
export function setSession(next: Session | null): void {
  current = next;
  if (next) sessionStorage.setItem(KEY, JSON.stringify(next));
  else sessionStorage.removeItem(KEY);
  for (const listener of listeners) listener();
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

export function useSession(): Session | null {
  return useSyncExternalStore(subscribe, session);
}

/** The session on pages that only people who are signed in reach. */
export function useSignedIn(): Session {
  const found = useSession();
  if (!found) throw new Error("nobody is signed in");
  return found;
}
