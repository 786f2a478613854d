/** A change that lists show before the server has answered, and that is taken back where it refuses. */
import { type QueryKey, useMutation, useQueryClient } from "@tanstack/react-query";

interface Optimistic<Shown, Given> {
  /** The queries that show it, by the beginning of their keys. */
  queryKey: QueryKey;
  write: (given: Given) => Promise<unknown>;
  /** What a query will show, once it is done. */
  foresee: (shown: Shown, given: Given) => Shown;
}

export function useOptimistic<Shown, Given>({ queryKey, write, foresee }: Optimistic<Shown, Given>) {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: write,
    onMutate: async (given: Given) => {
      await queries.cancelQueries({ queryKey });
      const before = queries.getQueriesData<Shown>({ queryKey });
      queries.setQueriesData<Shown>({ queryKey }, (shown) => shown && foresee(shown, given));
      return before;
    },
    onError: (_, __, before) => {
      for (const [key, shown] of before ?? []) queries.setQueryData(key, shown);
    },
    onSettled: () => queries.invalidateQueries({ queryKey }),
  });
}
