// Socket.IO + express + better-sqlite3, the stack most often written for this job. Usage: node socketio_server.js DATABASE.
// One INSERT, committed, a message (WAL, synchronous=NORMAL); the answer and the broadcast come after it.
const { randomUUID } = require("node:crypto");
const http = require("node:http");
const Database = require("better-sqlite3");
const express = require("express");
const { Server } = require("socket.io");

const db = new Database(process.argv[2]);
db.pragma("journal_mode = WAL");
db.pragma("synchronous = NORMAL");
db.exec("CREATE TABLE messages (id TEXT PRIMARY KEY, room_id TEXT, user_id TEXT, text TEXT, created_at INTEGER)");
const insert = db.prepare("INSERT INTO messages VALUES (?, ?, ?, ?, ?)");

const app = express();
app.disable("x-powered-by");
app.disable("etag");
app.use(express.json());
const server = http.createServer(app);
server.keepAliveTimeout = 120_000;
const io = new Server(server, { transports: ["websocket"], perMessageDeflate: false, pingInterval: 300_000, serveClient: false });
io.on("connection", (socket) => {
  socket.on("join", (room) => {
    socket.join(room);
    socket.emit("joined", room);
  });
});
app.post("/send", (req, res) => {
  const { roomId, userId, text } = req.body;
  const data = { id: randomUUID(), userId, text, timestamp: Date.now() };
  insert.run(data.id, roomId, userId, text, data.timestamp);
  const topic = `chat/${roomId}`;
  io.to(topic).emit("chat:message", { topic, data });
  res.json({ ok: true, id: data.id });
});
server.listen(0, "127.0.0.1", 4096, () => console.log(`port ${server.address().port}`));
