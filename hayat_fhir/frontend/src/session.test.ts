import { act, renderHook } from "@testing-library/react";
import { afterEach, expect, test } from "vitest";
import { type Session, session, setSession, useSession } from "./session";

const huda: Session = { token: "t", role: "patient", id: "p1", name: "Huda" };

afterEach(() => act(() => setSession(null)));

test("a session is kept for this tab only, and forgotten at its end", () => {
  setSession(huda);
  expect(session()).toEqual(huda);
  expect(sessionStorage).toHaveLength(1);
  expect(window.localStorage).toHaveLength(0);
  setSession(null);
  expect(session()).toBeNull();
  expect(sessionStorage).toHaveLength(0);
});

test("whoever shows the session is told of its change", () => {
  const { result } = renderHook(() => useSession());
  expect(result.current).toBeNull();
  act(() => setSession(huda));
  expect(result.current).toEqual(huda);
});
