import { expect, test } from "vitest";
import { cameNot, faces, invites, isMember } from "./faces";
import type { Consultation } from "./live";

const [layla, huda, rana] = [{ id: "d", name: "Dr. Layla" }, { id: "p", name: "Huda" }, { id: "c", name: "Dr. Rana" }];
const consultation: Consultation = {
  id: "c1",
  state: "active",
  doctor: layla,
  patient: huda,
  invited: [],
  created: "2026-01-01T10:00:00Z",
  started: "2026-01-01T10:00:10Z",
  ended: null,
  relay: null,
  recording: { state: "off", agreed: [], peer: null },
};
const invited = { ...consultation, invited: [rana] };
const stream = (id: string) => ({ id }) as MediaStream;
const people = new Map([["peer-d", layla], ["peer-p", huda], ["peer-p2", huda], ["peer-c", rana]]);
const seen = (one: Consultation, self: string, ...peers: string[]) =>
  faces(one, self, peers.map((peer) => ({ peer, stream: stream(peer) })), people).map(({ name, stream: shown }) => [name, shown?.id ?? null]);

test("the two sides wait for each other, and nobody for who is invited", () => {
  expect(seen(invited, "d")).toEqual([["Huda", null]]);
  expect(seen(invited, "p")).toEqual([["Dr. Layla", null]]);
  expect(seen(invited, "c")).toEqual([["Dr. Layla", null], ["Huda", null]]);
});

test("three see two others each", () => {
  expect(seen(invited, "d", "peer-c", "peer-p")).toEqual([["Huda", "peer-p"], ["Dr. Rana", "peer-c"]]);
  expect(seen(invited, "p", "peer-d", "peer-c")).toEqual([["Dr. Layla", "peer-d"], ["Dr. Rana", "peer-c"]]);
  expect(seen(invited, "c", "peer-p", "peer-d")).toEqual([["Dr. Layla", "peer-d"], ["Huda", "peer-p"]]);
});

test("who comes back under another peer is seen once", () => {
  expect(seen(consultation, "d", "peer-p", "peer-p2")).toEqual([["Huda", "peer-p2"]]);
});

test("the relay shows the other side, and a peer of whom nothing is told is not shown", () => {
  expect(seen({ ...invited, relay: "relay" }, "d", "peer-p", "peer-c", "relay")).toEqual([["Huda", "relay"], ["Dr. Rana", "peer-c"]]);
  expect(seen(invited, "d", "nobody")).toEqual([["Huda", null]]);
});

test("an invitation is told once, and to who is invited alone", () => {
  expect(invites(consultation, invited, "c")).toBe(true);
  expect(invites(undefined, invited, "c")).toBe(true);
  expect(invites(invited, { ...invited, relay: "relay" }, "c")).toBe(false);
  expect(invites(consultation, invited, "p")).toBe(false);
  expect(invites(undefined, { ...invited, state: "ended" }, "c")).toBe(false);
});

test("who declines is invited no more", () => {
  expect(cameNot(invited, consultation)).toEqual([rana]);
  expect(["d", "p", "c"].map((id) => isMember(invited, id))).toEqual([true, true, true]);
  expect(["d", "p", "c"].map((id) => isMember(consultation, id))).toEqual([true, true, false]);
  expect(cameNot(consultation, invited)).toEqual([]);
  expect(cameNot(undefined, consultation)).toEqual([]);
});
