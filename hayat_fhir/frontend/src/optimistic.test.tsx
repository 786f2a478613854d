import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { act, renderHook, waitFor } from "@testing-library/react";
import type { ReactNode } from "react";
import { expect, test } from "vitest";
import { useOptimistic } from "./optimistic";

function begin(write: (given: string) => Promise<unknown>) {
  const queries = new QueryClient();
  queries.setQueryData(["list", 1], ["a", "b"]);
  queries.setQueryData(["list", 2], ["b", "c"]);
  queries.setQueryData(["other"], ["b"]);
  const wrapper = ({ children }: { children: ReactNode }) => <QueryClientProvider client={queries}>{children}</QueryClientProvider>;
  const drop = { queryKey: ["list"], write, foresee: (shown: string[], given: string) => shown.filter((one) => one !== given) };
  const { result } = renderHook(() => useOptimistic<string[], string>(drop), { wrapper });
  return { shown: () => [queries.getQueryData(["list", 1]), queries.getQueryData(["list", 2]), queries.getQueryData(["other"])], result };
}

test("every list shows a change before the server has answered", async () => {
  let answer: () => void = () => undefined;
  const { result, shown } = begin(() => new Promise<void>((done) => (answer = done)));
  act(() => result.current.mutate("b"));
  await waitFor(() => expect(shown()).toEqual([["a"], ["c"], ["b"]]));
  act(() => answer());
  await waitFor(() => expect(result.current.isSuccess).toBe(true));
  expect(shown()).toEqual([["a"], ["c"], ["b"]]);
});

test("what the server refuses is put back", async () => {
  const { result, shown } = begin(() => Promise.reject(new Error("refused")));
  act(() => result.current.mutate("b"));
  await waitFor(() => expect(result.current.isError).toBe(true));
  expect(shown()).toEqual([["a", "b"], ["b", "c"], ["b"]]);
});
