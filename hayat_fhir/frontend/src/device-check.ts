/** Camera and microphone go to the site and come back, and the site says what it saw and heard. */
import { json } from "./server";

export type Verdict = "good" | "silent" | "frozen" | "missing";

export interface CheckState {
  step: "asking" | "connecting" | "measuring" | "done" | "failed";
  /** What the site sends back. */
  echo: MediaStream | null;
  /** Loudness, 0 to 1. */
  audio: number;
  /** Pictures per second. */
  video: number;
  microphone?: Verdict;
  camera?: Verdict;
}

type Message =
  | { type: "answer"; sdp: string }
  | { type: "level"; audio: number; video: number }
  | { type: "verdict"; microphone: Verdict; camera: Verdict }
  | { type: "refused" };

const GATHERING = 3000;

async function devices(): Promise<MediaStream> {
  const wanted: MediaStreamConstraints[] = [{ audio: true, video: true }, { audio: true }, { video: true }];
  for (const constraints of wanted) {
    try {
      return await navigator.mediaDevices.getUserMedia(constraints);
    } catch {
      continue;
    }
  }
  return new MediaStream();
}

/** The offer with all of its candidates, for there is no second message. */
async function offer(connection: RTCPeerConnection): Promise<string> {
  await connection.setLocalDescription();
  await new Promise<void>((done) => {
    const timer = setTimeout(done, GATHERING);
    connection.addEventListener("icegatheringstatechange", () => {
      if (connection.iceGatheringState !== "complete") return;
      clearTimeout(timer);
      done();
    });
  });
  return connection.localDescription?.sdp ?? "";
}

export class DeviceCheck {
  private state: CheckState = { step: "asking", echo: null, audio: 0, video: 0 };
  private local: MediaStream | undefined;
  private connection: RTCPeerConnection | undefined;
  private socket: WebSocket | undefined;
  private ended = false;

  constructor(private readonly changed: (state: CheckState) => void) {}

  async start(token: string): Promise<void> {
    const local = await devices();
    this.local = local;
    if (this.ended) return this.end();
    if (local.getTracks().length === 0) return this.set({ step: "done", microphone: "missing", camera: "missing" });
    this.set({ step: "connecting" });
    try {
      const ice = await json<RTCConfiguration>("/realtime/ice");
      const connection = new RTCPeerConnection({ iceServers: ice.iceServers, iceTransportPolicy: ice.iceTransportPolicy });
      this.connection = connection;
      const echo = new MediaStream();
      connection.addEventListener("track", ({ track }) => {
        echo.addTrack(track);
        this.set({ echo });
      });
      for (const track of local.getTracks()) connection.addTrack(track, local);
      const sdp = await offer(connection);
      if (!this.ended) this.ask(token, sdp);
    } catch {
      this.fail();
    }
  }

  end(): void {
    this.ended = true;
    this.socket?.close();
    this.connection?.close();
    this.local?.getTracks().forEach((track) => track.stop());
  }

  private ask(token: string, sdp: string): void {
    const socket = new WebSocket(`${location.protocol === "https:" ? "wss:" : "ws:"}//${location.host}/realtime/device-check`);
    this.socket = socket;
    socket.addEventListener("open", () => {
      socket.send(JSON.stringify({ token }));
      socket.send(JSON.stringify({ type: "offer", sdp }));
    });
    socket.addEventListener("message", ({ data }: MessageEvent<string>) => this.hear(JSON.parse(data) as Message));
    socket.addEventListener("close", () => this.fail());
  }

  private hear(message: Message): void {
    switch (message.type) {
      case "answer":
        void this.connection?.setRemoteDescription({ type: "answer", sdp: message.sdp }).then(
          () => this.set({ step: "measuring" }),
          () => this.fail(),
        );
        break;
      case "level":
        this.set({ audio: message.audio, video: message.video });
        break;
      case "verdict":
        this.set({ step: "done", microphone: message.microphone, camera: message.camera });
        break;
      case "refused":
        this.fail();
    }
  }

  /** It ends without a verdict; after one, the end is as it should be. */
  private fail(): void {
    if (this.state.step !== "done") this.set({ step: "failed" });
  }

  private set(next: Partial<CheckState>): void {
    this.state = { ...this.state, ...next };
    if (!this.ended) this.changed(this.state);
  }
}
