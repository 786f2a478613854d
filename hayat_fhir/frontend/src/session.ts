import { useSyncExternalStore } from "react";

export type Role = "patient" | "doctor" | "staff";

/** Who is signed in. `id` is the id of the Patient or Practitioner that stands for the person. */
export interface Session {
  token: string;
  role: Role;
  id: string;
  name: string;
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
