// uWebSockets.js: native pub/sub. Usage: node uws_server.js PATH_OF_THE_BINARY. Keeps nothing.
const { randomUUID } = require("node:crypto");
const uws = require(process.argv[2]);

const app = uws.App();
app.ws("/sub/:room", {
  compression: uws.DISABLED,
  maxBackpressure: 64 * 1024 * 1024, // the default of 64 kB drops messages under this load
  idleTimeout: 120,
  upgrade(res, req, context) {
    res.upgrade(
      { topic: `chat/${req.getParameter(0)}` },
      req.getHeader("sec-websocket-key"),
      req.getHeader("sec-websocket-protocol"),
      req.getHeader("sec-websocket-extensions"),
      context,
    );
  },
  open(ws) {
    ws.subscribe(ws.getUserData ? ws.getUserData().topic : ws.topic);
    ws.send("subscribed");
  },
});
app.post("/send", (res) => {
  let body = null;
  res.onAborted(() => {});
  res.onData((chunk, isLast) => {
    const part = Buffer.from(chunk); // the chunk is only valid during this call
    if (!isLast || body) body = body ? Buffer.concat([body, part]) : Buffer.from(part);
    if (!isLast) return;
    const { roomId, userId, text } = JSON.parse(body || part);
    const topic = `chat/${roomId}`;
    const data = { id: randomUUID(), userId, text, timestamp: Date.now() };
    app.publish(topic, JSON.stringify({ type: "event", topic, event: "chat:message", data }));
    res.cork(() => res.writeHeader("Content-Type", "application/json").end(`{"ok":true,"id":"${data.id}"}`));
  });
});
app.listen("127.0.0.1", 0, (socket) => console.log(`port ${uws.us_socket_local_port(socket)}`));
