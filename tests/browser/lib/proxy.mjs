// The way between the browser and the node, which can be cut as networks are.

import { once } from "node:events";
import net from "node:net";

export class Proxy {
  #server;
  #sockets = new Set();
  #isCut = false;

  static async start(url) {
    const { hostname, port } = new URL(url);
    const proxy = new Proxy();
    proxy.#server = net.createServer((client) => proxy.#link(client, hostname, port));
    proxy.#server.listen(0, "127.0.0.1");
    await once(proxy.#server, "listening");
    return proxy;
  }

  get url() {
    return `http://127.0.0.1:${this.#server.address().port}`;
  }

  /** Ends all connections, and refuses new ones until `mend`. */
  cut() {
    this.#isCut = true;
    for (const socket of this.#sockets) socket.destroy();
  }

  mend() {
    this.#isCut = false;
  }

  end() {
    this.cut();
    this.#server.close();
  }

  #link(client, hostname, port) {
    if (this.#isCut) return client.destroy();
    const server = net.connect(port, hostname);
    for (const [socket, other] of [
      [client, server],
      [server, client],
    ]) {
      this.#sockets.add(socket);
      socket.on("error", () => {});
      socket.on("close", () => {
        this.#sockets.delete(socket);
        other.destroy();
      });
      socket.pipe(other);
    }
  }
}
