import { act, renderHook } from "@testing-library/react";
import { afterEach, expect, test } from "vitest";
import { type Consultation, disconnect, setAvailable, told, useLive } from "./live";

const consultation: Consultation = {
  id: "c1",
  state: "ringing",
  doctor: { id: "d", name: "Dr. Layla" },
  patient: { id: "p", name: "Huda" },
  invited: [],
  created: "2026-01-01T10:00:00Z",
  started: null,
  ended: null,
  relay: null,
  recording: { state: "off", agreed: [], peer: null },
};

afterEach(() => act(() => disconnect()));

test("what is told of a consultation takes the place of what was known of it", () => {
  const { result } = renderHook(() => useLive());
  act(() => told(consultation));
  act(() => told({ ...consultation, id: "c2" }));
  act(() => told({ ...consultation, state: "active" }));
  expect(Object.values(result.current.consultations).map(({ id, state }) => [id, state])).toEqual([
    ["c1", "active"],
    ["c2", "ringing"],
  ]);
});

test("nothing of one person is left for the next", () => {
  const { result } = renderHook(() => useLive());
  act(() => told(consultation));
  act(() => setAvailable(true));
  expect(result.current.available).toBe(true);
  act(() => disconnect());
  expect(result.current).toMatchObject({ available: false, consultations: {}, notices: [] });
});
