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

export class Call {
  state: CallState = { local: null, remote: null, microphone: true, camera: true, problem: "" };
  private peer: Peer | undefined;
  private calls = new Map<string, MediaConnection>();
  private passed = new Set<string>();
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
  pass({ recording, relay }: Consultation): void {
    for (const peer of [recording.state === "on" ? recording.peer : null, relay]) {
      if (!peer || this.passed.has(peer) || !this.peer || !this.state.local) continue;
      this.passed.add(peer);
      const made = this.peer.call(peer, this.state.local);
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
    peer.on("open", this.join);
    peer.on("call", (made) => {
      made.answer(this.state.local ?? undefined);
      this.follow(made);
    });
    peer.on("disconnected", () => void this.again());
    peer.on("error", (error) => {
      if (error.type === "unavailable-id" || error.type === "invalid-key") this.set({ problem: "call.noSignalling" });
    });
  }

  /** The connection to the signalling server was cut: the calls go on, and a new ticket lets new ones come. */
  private async again(): Promise<void> {
    while (!this.ended && this.peer && this.peer.disconnected && !this.peer.destroyed) {
      await new Promise((done) => setTimeout(done, PAUSE));
      try {
        const { token } = await this.ticket(this.peer.id);
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

  private readonly meet = (peer: string): void => {
    if (this.peer && this.state.local && peer !== this.peer.id) this.follow(this.peer.call(peer, this.state.local));
  };

  private readonly part = (peer: string): void => {
    this.calls.get(peer)?.close();
  };

  private follow(made: MediaConnection): void {
    this.calls.get(made.peer)?.close();
    this.calls.set(made.peer, made);
    made.on("stream", (remote) => this.set({ remote }));
    made.on("close", () => {
      if (this.calls.get(made.peer) !== made) return;
      this.calls.delete(made.peer);
      if (this.calls.size === 0) this.set({ remote: null });
    });
    made.peerConnection.addEventListener("connectionstatechange", () => {
      if (made.peerConnection.connectionState === "failed") void json(`/realtime/consultations/${this.id}/relay`, { method: "POST" }).catch(() => undefined);
    });
  }
}
