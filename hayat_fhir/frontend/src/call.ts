/** One side of a video consultation: camera and microphone, the tickets to the signalling server, and the other side. */
import type { MediaConnection, Peer, PeerOptions } from "peerjs";
import { connection, type Consultation } from "./live";
import { json } from "./server";

interface Ticket {
  peer: string;
  token: string;
  ice: PeerOptions["config"];
}

export interface CallState {
  local: MediaStream | null;
  remote: MediaStream | null;
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
  state: CallState = { local: null, remote: null, microphone: true, camera: true, problem: "" };
  private peer: Peer | undefined;
  private calls = new Map<string, MediaConnection>();
  private passed = new Set<string>();
  /** The peers of those who are in the room too. */
  private others = new Set<string>();
  private consultation: Consultation | undefined;
  private ended = false;

  constructor(
    private readonly id: string,
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
    connection()?.on("user-connected", this.meet);
    connection()?.on("user-disconnected", this.part);
    try {
      await this.open(await this.ticket());
    } catch {
      this.set({ problem: "call.noSignalling" });
    }
  }

  /** What the site's own recorder or relay is sent; each of them once. */
  pass(consultation: Consultation): void {
    this.consultation = consultation;
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
    connection()?.off("user-connected", this.meet);
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
    if (this.peer?.open) connection()?.emit("join-room", this.id, this.peer.id);
  };

  /** Whose socket was cut comes anew; where media went on meanwhile, nothing is to be done. */
  private readonly meet = (peer: string): void => {
    if (peer === this.peer?.id) return;
    this.others.add(peer);
    if (this.peer?.open && this.state.local && !this.flows(peer)) this.follow(this.peer.call(peer, this.state.local));
  };

  private meetAgain(peer: string): void {
    const state = this.calls.get(peer)?.peerConnection?.connectionState ?? "closed";
    if (this.others.has(peer) && !["new", "connecting", "connected"].includes(state)) this.meet(peer);
  }

  private readonly part = (peer: string): void => {
    this.others.delete(peer);
    const made = this.calls.get(peer);
    setTimeout(() => {
      if (made && !this.flows(peer)) made.close();
    }, GONE);
  };

  private flows(peer: string): boolean {
    return this.calls.get(peer)?.peerConnection?.connectionState === "connected";
  }

  private follow(made: MediaConnection): void {
    this.calls.get(made.peer)?.close();
    this.calls.set(made.peer, made);
    made.on("stream", (remote) => this.set({ remote }));
    made.on("close", () => {
      if (this.calls.get(made.peer) !== made) return;
      this.calls.delete(made.peer);
      if (this.calls.size === 0) this.set({ remote: null });
    });
    const resort = () => {
      if (!this.ended) void json(`/realtime/consultations/${this.id}/relay`, { method: "POST" }).catch(() => undefined);
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
