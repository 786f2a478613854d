import { bearer, session, setSession } from "./session";

/** A refusal of the server; `status` 0: it could not be reached. */
export class ServerError extends Error {
  constructor(
    readonly status: number,
    message: string,
    readonly code = "",
  ) {
    super(message);
  }
}

interface Options {
  method?: "GET" | "POST" | "PUT" | "DELETE";
  json?: unknown;
  form?: FormData;
  headers?: Record<string, string>;
  signal?: AbortSignal;
  /** Sign-in itself: a 401 is an answer, not the end of a session. */
  anonymous?: boolean;
  /** A 401 means that a password in the body is wrong. */
  keepSession?: boolean;
}

/** A request with the session's token; raises ServerError. A 401 ends the session. */
export async function request(path: string, options: Options = {}): Promise<Response> {
  const headers: Record<string, string> = { ...options.headers };
  // signing out ends the session, and with it whatever was opened from it
  const token = path.startsWith("/api/v1/auth/") || path.startsWith("/realtime/") ? session()?.token : bearer();
  if (token && !options.anonymous) headers.authorization = `Bearer ${token}`;
  const body = options.form ?? (options.json === undefined ? undefined : JSON.stringify(options.json));
  if (options.json !== undefined) {
    headers["content-type"] = path.startsWith("/fhir") ? "application/fhir+json" : "application/json";
  }
  let response: Response;
  try {
    response = await fetch(path, { method: options.method ?? "GET", headers, body, signal: options.signal, credentials: "omit" });
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw new ServerError(0, "");
  }
  if (response.ok) return response;
  const signedIn = session();
  if (response.status === 401 && !options.anonymous && signedIn?.emergency && signedIn.emergency.token === token) {
    setSession({ ...signedIn, emergency: undefined });
    return request(path, options);
  }
  if (response.status === 401 && !options.anonymous && !options.keepSession && session()?.token === token) setSession(null);
  throw await refusal(response);
}

export async function json<T>(path: string, options: Options = {}): Promise<T> {
  const response = await request(path, options);
  return (response.status === 204 ? undefined : await response.json()) as T;
}

async function refusal(response: Response): Promise<ServerError> {
  try {
    const body = (await response.json()) as {
      message?: string;
      code?: string;
      issue?: { code?: string; diagnostics?: string; details?: { text?: string } }[];
    };
    const issue = body.issue?.[0];
    const message = body.message ?? issue?.details?.text ?? issue?.diagnostics ?? "";
    return new ServerError(response.status, message, body.code ?? issue?.code ?? "");
  } catch {
    return new ServerError(response.status, "");
  }
}
