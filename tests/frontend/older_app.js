// The existing frontend in short: its events in its order, with the Socket.IO and PeerJS clients as they are published.
window.app = { doctors: {}, available: null, rung: null, answered: null, messages: [], left: [], calls: {} };

async function connect({ site, token }) {
  const socket = (app.socket = io(site, { auth: { token } }));
  socket.on("updateDoctorList", (doctors) => (app.doctors = doctors));
  socket.on("availableCall", (available) => (app.available = available));
  socket.on("retrieve", (message) => (app.rung = message));
  socket.on("retrieveCall", (answered) => (app.answered = answered));
  socket.on("createMessage", (text, author) => app.messages.push([text, author]));
  socket.on("user-disconnected", (peer) => {
    app.left.push(peer);
    app.calls[peer]?.close();
  });
  await new Promise((done) => socket.on("connect", done));
  return socket.id;
}

async function doctors({ site, token }) {
  const answer = await fetch(`${site}/api/v1/doctor/${Object.keys(app.doctors)},`, { headers: { "x-acess-token": token } });
  return (await answer.json()).data.map(({ name }) => name);
}

async function ticket({ site, token, room, peer }) {
  const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };
  const answer = await fetch(`${site}/realtime/tickets`, { method: "POST", headers, body: JSON.stringify({ consultation: room, peer }) });
  return answer.json();
}

function show(call) {
  app.calls[call.peer] = call;
  call.on("stream", (stream) => {
    document.querySelector("video").srcObject = stream;
  });
}

/** `named`: the peer takes the id of the ticket, and does not ask the signalling server for one. */
async function enter({ site, token, room, named }) {
  const stream = await navigator.mediaDevices.getUserMedia({ audio: true, video: true });
  const given = await ticket({ site, token, room });
  const { hostname, port } = new URL(site);
  const options = { host: hostname, port: Number(port), path: "/peerjs", token: given.token, config: given.ice };
  const peer = (app.peer = named ? new Peer(given.peer, options) : new Peer(options));
  peer.on("call", (call) => {
    call.answer(stream);
    show(call);
  });
  app.socket.on("user-connected", (id) => show(peer.call(id, stream)));
  peer.on("open", (id) => app.socket.emit("join-room", room, id));
}

async function comeBack({ site, token, room, named }) {
  const { id } = app.peer;
  app.peer.disconnect();
  app.peer.options.token = (await ticket({ site, token, room, peer: named ? id : undefined })).token;
  app.peer.reconnect();
  await new Promise((done) => app.peer.on("open", done));
}

async function callAgain() {
  const [other] = Object.keys(app.calls);
  show(app.peer.call(other, await navigator.mediaDevices.getUserMedia({ audio: true, video: true })));
}
