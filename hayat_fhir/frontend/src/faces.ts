/** Who is in a consultation, and what is seen of them. */
import type { Consultation, Person } from "./live";

/** What a peer sends. */
export interface Remote {
  peer: string;
  stream: MediaStream;
}

export interface Face extends Person {
  /** Null while nothing comes from them. */
  stream: MediaStream | null;
}

export function isInvited({ invited }: Consultation, id: string): boolean {
  return invited.some((one) => one.id === id);
}

/** Whether somebody may join: who has declined an invitation is told so, and may not any more. */
export function isMember(consultation: Consultation, id: string): boolean {
  return consultation.doctor.id === id || consultation.patient.id === id || isInvited(consultation, id);
}

/** Those whose call it is, without oneself: one for the doctor and the patient, two for somebody invited. */
export function sides({ doctor, patient }: Consultation, self: string): Person[] {
  return [doctor, patient].filter(({ id }) => id !== self);
}

/**
 * Everybody but oneself: who is waited for, and whoever else sends something; of each the latest stream.
 *
 * The relay of the site stands for the other side of the two that it joins.
 */
export function faces(consultation: Consultation, self: string, remotes: readonly Remote[], people: ReadonlyMap<string, Person>): Face[] {
  const expected = sides(consultation, self);
  const found = new Map<string, Face>(expected.map((one) => [one.id, { ...one, stream: null }]));
  for (const { peer, stream } of remotes) {
    const who = peer === consultation.relay ? expected[0] : people.get(peer);
    if (who) found.set(who.id, { id: who.id, name: who.name, stream });
  }
  return [...found.values()];
}

/** Who was invited before, and is not any more: they have declined. */
export function cameNot(before: Consultation | undefined, now: Consultation): Person[] {
  return before?.invited.filter(({ id }) => !isInvited(now, id)) ?? [];
}

/** Whether what is told of a consultation is an invitation. */
export function invites(before: Consultation | undefined, now: Consultation, self: string): boolean {
  return now.state === "active" && isInvited(now, self) && !(before && isInvited(before, self));
}
