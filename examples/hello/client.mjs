// Says hello to the hub: `npm install socket.io-client`, then `node client.mjs [URL]`.
import { io } from "socket.io-client";

const url = process.argv[2] ?? "http://127.0.0.1:3000";
const socket = io(url, { transports: ["websocket"] });

socket.on("connect_error", (error) => {
  console.error(`not connected to ${url}: ${error.message}`);
  process.exit(1);
});

socket.on("connect", async () => {
  console.log(await socket.timeout(5000).emitWithAck("hello", "world"));
  socket.close();
});
