// A TCP proxy that loses connections as networks do.

import { once } from "node:events";
import net from "node:net";

/** How a connection is lost: both ends learn of it at once, or the client alone and the server goes on writing. */
export const LOSSES = ["both", "client"];

/** Between one client and the server. What is on its way when a connection is lost never arrives. */
export class Proxy {
  #server;
  #links = new Set();
  lost = 0;

  static async start(scope, url) {
    const { hostname, port } = new URL(url);
    const proxy = new Proxy();
    proxy.#server = net.createServer((client) => proxy.#link(client, net.connect(port, hostname)));
    proxy.#server.listen(0, "127.0.0.1");
    await once(proxy.#server, "listening");
    scope.defer(() => proxy.#end());
    return proxy;
  }

  get url() {
    return `http://127.0.0.1:${this.#server.address().port}`;
  }

  /** Loses all connections that are open now; false when there are none. */
  lose(how) {
    const links = [...this.#links].filter((link) => !link.isLost);
    for (const link of links) {
      const { client, server } = link;
      link.isLost = true;
      client.unpipe(server);
      server.unpipe(client);
      client.destroy();
      if (how === "both") server.destroy();
      // else what the server writes goes nowhere
      else server.resume();
    }
    if (links.length > 0) this.lost++;
    return links.length > 0;
  }

  #link(client, server) {
    const link = { client, server, isLost: false };
    this.#links.add(link);
    for (const [socket, other] of [
      [client, server],
      [server, client],
    ]) {
      socket.setNoDelay(true);
      socket.on("error", () => {});
      socket.on("close", () => {
        if (!link.isLost) other.destroy();
        if (client.destroyed && server.destroyed) this.#links.delete(link);
      });
      socket.pipe(other);
    }
  }

  #end() {
    for (const { client, server } of this.#links) {
      client.destroy();
      server.destroy();
    }
    this.#server.close();
  }
}
