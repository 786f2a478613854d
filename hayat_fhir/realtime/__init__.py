"""The realtime door: presence and calls over Socket.IO, JSON routes for consultations, PeerJS signalling, WebRTC.

Identity is the access token and nothing else. Errors of the JSON routes are OperationOutcomes, as at ``/fhir``.

**Socket.IO**, ``/socket.io``, namespace ``/``: ``io({auth: {token}, transports: ["websocket"]})``. A refused token
is a ``connect_error``. Before the token expires the server sends ``token-expiring`` ``{seconds}``; emit ``refresh``
``{token}`` with a new token of the same account, else the socket is closed at expiry. Every event may have an
acknowledgement: ``{ok: true, ..}`` or ``{ok: false, code, message}``; without one a refusal comes as the event
``refused`` ``{event, code, message}``. Over 20 events/s (bursts of 60) or 64 KiB a message, the socket is closed.

==================== ======================================== =========================================================
client sends         payload                                  effect
==================== ======================================== =========================================================
``online-user``      (ignored)                                a doctor switches on: online while this socket lives
``offline-user``     none                                     switches this socket off
``watch-presence``   none                                     ack ``{ok, online: [Practitioner id]}``, then ``presence``
``get-online-doctor`` (ignored)                               ``updateDoctorList`` now and at every change
``call``             doctor socket, ``{from, url, patient}``  rings: ``retrieve`` to the doctor, ``availableCall`` back
``answerCall``       patient socket, true or false            ``retrieveCall`` to the patient
``join-room``        consultation (or doctor) id, peer id     others get ``user-connected``; doctor counts as offline;
                                                              ack ``{ok, others: [{peer, id, name, role}]}``
``leave-room``       none                                     others get ``user-disconnected``
``message``          text, at most 4,000 characters           ``createMessage`` text, Practitioner or Patient id
``refresh``          ``{token}``                              the socket goes on with the new token
==================== ======================================== =========================================================

===================== =================================================================================================
server sends          payload
===================== =================================================================================================
``presence``          ``{online: [Practitioner id], offline: [Practitioner id]}``: what has changed
``updateDoctorList``  ``{Practitioner id: [socket id]}``: all of it (the older app)
``consultation``      a consultation, below, to its members at every change: ring when ``state`` is ``ringing``, or
                      when one is among ``invited`` who was not before
``user-connected``    peer id, and who: ``{id, name, role}``; ``user-disconnected`` likewise
``createMessage``     text, Practitioner or Patient id
``notification``      ``{kind, reference, patient, at}``: kind ``study-arrived``, ``report-signed``,
                      ``share-delivered``, ``glass-broken``; two FHIR references, and an instant
===================== =================================================================================================

**JSON routes**, ``Authorization: Bearer``. A consultation is ``{id, encounter, state, doctor: {id, name},
patient: {id, name}, invited: [{id, name}], created, started, ended, relay, recording: {state, agreed: [role],
peer}}``; its ``state`` is ``ringing``, ``active``, ``ended``, ``declined``, ``cancelled`` or ``missed`` (not answered
in 60 s); ``encounter`` is ``Encounter/<id>`` once it is active: what is written during the consultation refers to it.

====================================================== ================================================================
``GET /realtime/presence``                             ``{online: [Practitioner id]}``
``GET /realtime/ice``                                  ``{iceServers, iceTransportPolicy, seconds}``
``POST /realtime/consultations``                       ``{doctor: id}`` of a patient: rings (201); 409: not free
``GET /realtime/consultations[?state=]``               ``{consultations: [..]}`` of the caller, newest first, 50 at most
``GET /realtime/consultations/{id}``                   one
``POST /realtime/consultations/{id}/accept``           by the doctor; also ``/decline``, and by somebody invited
``POST /realtime/consultations/{id}/end``              by either; a ringing one is cancelled
``POST /realtime/consultations/{id}/invite``           ``{doctor: id}`` by the doctor: a further doctor may join
``POST /realtime/consultations/{id}/recording``        ``{agree: true|false}``; runs while doctor and patient agree
``POST /realtime/consultations/{id}/relay``            last resort: the consultation, with ``relay`` set; 429: none free
``POST /realtime/tickets``                             ``{consultation: id}``: ``{peer, token, seconds, ice: {..}}``
``GET /realtime/recordings/{DocumentReference id}/{n}`` the n-th attachment of a recording, decrypted
====================================================== ================================================================

**PeerJS**, ``/peerjs``: with a ticket, ``new Peer(ticket.peer, {host, port, secure, path: "/peerjs", token:
ticket.token, config: ticket.ice})``. A ticket is good for one connection within 60 s. After a cut socket: a new
ticket with ``{consultation, peer}`` for the same id, then ``peer.options.token = token; peer.reconnect()``; the
others are not told that it was gone, and media goes on meanwhile. Only members of the same consultation reach one
another. While ``recording.state`` is ``on``, call ``recording.peer`` with the local stream. Where two sides do not
reach each other, also not by TURN, either asks for a relay; both are told of it by ``consultation``, call ``relay``
with the local stream, and get the other's stream back.

**Device check**, WebSocket ``/realtime/device-check``: send ``{token}``, then ``{type: "offer", sdp}`` (all candidates
in it); the server answers ``{type: "answer", sdp}``, echoes camera and microphone, and sends ``{type: "level",
audio: 0..1, video: frames per second}`` twice a second, ``{type: "verdict", microphone, camera}`` (``good``,
``silent``, ``frozen``, ``missing``) after five seconds, and closes after 30 s at the latest.
"""
