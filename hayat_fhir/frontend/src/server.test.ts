import { afterEach, expect, test, vi } from "vitest";
import { json, ServerError } from "./server";
import { session, setSession } from "./session";

const answers = (status: number, body: unknown) => {
  const asked = vi.fn<typeof fetch>(() => Promise.resolve(new Response(status === 204 ? null : JSON.stringify(body), { status })));
  vi.stubGlobal("fetch", asked);
  return asked;
};

const refusal = async (promise: Promise<unknown>): Promise<ServerError> => {
  const error = await promise.then(() => null, (reason: unknown) => reason);
  if (!(error instanceof ServerError)) throw new Error("it was not refused");
  return error;
};

afterEach(() => setSession(null));

test("the token of the session goes along, and FHIR has its own media type", async () => {
  setSession({ token: "abc", role: "doctor", id: "d", name: "D" });
  const asked = answers(200, {});
  await json("/fhir/Patient", { method: "POST", json: {} });
  expect(asked.mock.calls[0]?.[1]?.headers).toEqual({ authorization: "Bearer abc", "content-type": "application/fhir+json" });
});

test("an anonymous request carries no token", async () => {
  setSession({ token: "abc", role: "doctor", id: "d", name: "D" });
  const asked = answers(200, {});
  await json("/api/v1/doctor/login", { anonymous: true });
  expect(asked.mock.calls[0]?.[1]?.headers).toEqual({});
});

test("a refused token ends the session, a refused password does not", async () => {
  setSession({ token: "abc", role: "doctor", id: "d", name: "D" });
  answers(401, { message: "no" });
  await refusal(json("/api/v1/auth/", { keepSession: true }));
  expect(session()).not.toBeNull();
  await refusal(json("/api/v1/auth/"));
  expect(session()).toBeNull();
});

test("what the server says is read from either of its envelopes", async () => {
  answers(400, { status: "fail", message: "name: is missing", code: "invalid" });
  expect(await refusal(json("/api/v1/patient"))).toMatchObject({ status: 400, message: "name: is missing", code: "invalid" });
  answers(422, { resourceType: "OperationOutcome", issue: [{ code: "required", diagnostics: "Patient.name" }] });
  expect(await refusal(json("/fhir/Patient"))).toMatchObject({ status: 422, message: "Patient.name", code: "required" });
});

test("a server that cannot be reached is told apart", async () => {
  vi.stubGlobal("fetch", () => Promise.reject(new TypeError("failed")));
  expect(await refusal(json("/fhir/Patient"))).toMatchObject({ status: 0 });
});

test("no content is no JSON", async () => {
  answers(204, null);
  expect(await json("/api/v1/patient/1", { method: "DELETE" })).toBeUndefined();
});
