/** One side of a video consultation: camera and microphone, the tickets to the signalling server, and the others. */
import type { MediaConnection, Peer, PeerOptions } from "peerjs";
import { cameNot, type Remote } from "./faces";
import { connection, type Consultation, type Person } from "./live";
import { json } from "./server";

interface Ticket {
  peer: string;
  token: string;
  ice: PeerOptions["config"];
}

export interface CallState {
  local: MediaStream | null;
  /** What the peers of the others send, the latest last. */
  remotes: readonly Remote[];
  /** Who is behind a peer, as the server tells. */
  people: ReadonlyMap<string, Person>;
  /** A key of the texts, and whose coming or going it tells of. */
  notice: { text: "call.joined" | "call.left" | "call.declined"; name: string } | null;
  microphone: boolean;
  camera: boolean;
  /** A key of the texts: what stands in the way. */
  problem: "" | "call.noDevices" | "call.noCamera" | "call.noSignalling";
}

const PAUSE = 2000;
/** How long media may still come from a side whose socket is gone, before its picture is taken away. */
const GONE = 8000;
/** How long two sides try to reach each other before the site passes on what they send; ICE gives up later, or never. */
const UNREACHED = 15_000;

export class Call {
  state: CallState = { local: null, remotes: [], people: new Map(), notice: null, microphone: true, camera: true, problem: "" };
  private peer: Peer | undefined;
  private calls = new Map<string, MediaConnection>();
  private passed = new Set<string>();
  /** The peers of those who are in the room too. */
  private others = new Set<string>();
  private consultation: Consultation | undefined;
  private ended = false;

  constructor(
    private readonly id: string,
    /** Whether one was invited: the site records and passes on what doctor and patient send, and nobody else. */
    private readonly guest: boolean,
    private readonly changed: (state: CallState) => void,
  ) {}

  async start(): Promise<void> {
    const local = await this.devices();
    if (this.ended) {
      local?.getTracks().forEach((track) => track.stop());
      return;
    }
    this.set({ local });
    connection()?.on("connect", this.join);
    connection()?.on("user-connected", this.came);
    connection()?.on("user-disconnected", this.part);
    try {
      await this.open(await this.ticket());
    } catch {
      this.set({ problem: "call.noSignalling" });
    }
  }

  /** What the site's own recorder or relay is sent; each of them once. */
  pass(consultation: Consultation): void {
    const [away] = cameNot(this.consultation, consultation);
    this.consultation = consultation;
    if (away) this.set({ notice: { text: "call.declined", name: away.name } });
    if (this.guest) return;
    const { recording, relay } = consultation;
    for (const peer of [recording.state === "on" ? recording.peer : null, relay]) {
      if (!peer || this.passed.has(peer) || !this.peer?.open || !this.state.local) continue;
      this.passed.add(peer);
      const { options } = this.peer;
      const { config } = options as { config: RTCConfiguration };
      options.config = { ...config, iceTransportPolicy: "all" } satisfies RTCConfiguration; // the site is no stranger
      const made = this.peer.call(peer, this.state.local);
      options.config = config;
      if (peer === relay) this.follow(made);
    }
  }

  microphone(on: boolean): void {
    this.state.local?.getAudioTracks().forEach((track) => (track.enabled = on));
    this.set({ microphone: on });
  }

  camera(on: boolean): void {
    this.state.local?.getVideoTracks().forEach((track) => (track.enabled = on));
    this.set({ camera: on });
  }

  end(): void {
    this.ended = true;
    connection()?.off("connect", this.join);
    connection()?.off("user-connected", this.came);
    connection()?.off("user-disconnected", this.part);
    connection()?.emit("leave-room");
    this.peer?.destroy();
    this.state.local?.getTracks().forEach((track) => track.stop());
  }

  private set(next: Partial<CallState>): void {
    this.state = { ...this.state, ...next };
    if (!this.ended) this.changed(this.state);
  }

  private async devices(): Promise<MediaStream | null> {
    const audio = { echoCancellation: true, noiseSuppression: true };
    try {
      return await navigator.mediaDevices.getUserMedia({ audio, video: { width: { ideal: 1280 }, height: { ideal: 720 } } });
    } catch {
      try {
        this.set({ problem: "call.noCamera", camera: false });
        return await navigator.mediaDevices.getUserMedia({ audio });
      } catch {
        this.set({ problem: "call.noDevices" });
        return null;
      }
    }
  }

  private ticket(peer?: string): Promise<Ticket> {
    return json<Ticket>("/realtime/tickets", { method: "POST", json: { consultation: this.id, peer } });
  }

  private async open({ peer: id, token, ice }: Ticket): Promise<void> {
    const { Peer } = await import("peerjs");
    const secure = location.protocol === "https:";
    const peer = new Peer(id, { host: location.hostname, port: Number(location.port) || (secure ? 443 : 80), secure, path: "/peerjs", token, config: ice });
    this.peer = peer;
    peer.on("open", () => {
      this.join();
      // where both have come back, one of them calls: two calls at once would each end the other
      for (const other of this.others) setTimeout(() => this.meetAgain(other), peer.id < other ? PAUSE : 3 * PAUSE);
      if (this.consultation) this.pass(this.consultation);
    });
    peer.on("call", (made) => {
      this.others.add(made.peer);
      made.answer(this.state.local ?? undefined);
      this.follow(made);
    });
    peer.on("disconnected", (last) => void this.again(last));
    peer.on("error", (error) => {
      if (error.type === "unavailable-id" || error.type === "invalid-key") this.set({ problem: "call.noSignalling" });
    });
  }

  /** The connection to the signalling server was cut: the calls go on, and a new ticket lets new ones come. */
  private async again(last: string): Promise<void> {
    while (!this.ended && this.peer && this.peer.disconnected && !this.peer.destroyed) {
      await new Promise((done) => setTimeout(done, PAUSE));
      try {
        const { token } = await this.ticket(last);
        this.peer.options.token = token;
        this.peer.reconnect();
        return;
      } catch {
        continue;
      }
    }
  }

  private readonly join = (): void => {
    if (!this.peer?.open) return;
    connection()?.emit("join-room", this.id, this.peer.id, ({ others = [] }: { others?: (Person & { peer: string })[] }) => {
      for (const { peer, ...who } of others) this.know(peer, who);
    });
  };

  private know(peer: string, who: Person): void {
    this.set({ people: new Map(this.state.people).set(peer, who) });
  }

  private readonly came = (peer: string, who: Person): void => {
    if (peer === this.peer?.id) return;
    this.know(peer, who);
    this.set({ notice: { text: "call.joined", name: who.name } });
    this.meet(peer);
  };

  /** Whose socket was cut comes anew; where media went on meanwhile, nothing is to be done. */
  private meet(peer: string): void {
    this.others.add(peer);
    if (this.peer?.open && this.state.local && !this.flows(peer)) this.follow(this.peer.call(peer, this.state.local));
  }

  private meetAgain(peer: string): void {
    const state = this.calls.get(peer)?.peerConnection?.connectionState ?? "closed";
    if (this.others.has(peer) && !["new", "connecting", "connected"].includes(state)) this.meet(peer);
  }

  private readonly part = (peer: string, who: Person): void => {
    this.others.delete(peer);
    const made = this.calls.get(peer);
    setTimeout(() => {
      if (this.flows(peer)) return;
      made?.close();
      const back = [...this.others].some((other) => this.state.people.get(other)?.id === who.id);
      if (!back) this.set({ notice: { text: "call.left", name: who.name } });
    }, GONE);
  };

  private flows(peer: string): boolean {
    return this.calls.get(peer)?.peerConnection?.connectionState === "connected";
  }

  /** The site passes on only what doctor and patient send each other. */
  private isInvited(peer: string): boolean {
    return this.consultation?.invited.some(({ id }) => id === this.state.people.get(peer)?.id) ?? false;
  }

  private follow(made: MediaConnection): void {
    this.calls.get(made.peer)?.close();
    this.calls.set(made.peer, made);
    const others = () => this.state.remotes.filter(({ peer }) => peer !== made.peer);
    made.on("stream", (stream) => this.set({ remotes: [...others(), { peer: made.peer, stream }] }));
    made.on("close", () => {
      if (this.calls.get(made.peer) !== made) return;
      this.calls.delete(made.peer);
      this.set({ remotes: others() });
    });
    const resort = () => {
      if (!this.ended && !this.guest && !this.isInvited(made.peer)) void json(`/realtime/consultations/${this.id}/relay`, { method: "POST" }).catch(() => undefined);
    };
    // PeerJS closes a connection that has failed, which then tells nobody but it of its state
    made.on("error", ({ type }) => {
      if (String(type) === "negotiation-failed") resort();
    });
    setTimeout(() => {
      if (this.calls.get(made.peer) === made && !this.flows(made.peer)) resort();
    }, UNREACHED);
  }
}
