// Who wants to know says so; typed by a map of event names to arguments.

type Handler<A extends unknown[]> = (...args: A) => void;

export class Emitter<Events extends Record<string, unknown[]>> {
  #handlers: { [K in keyof Events]?: Set<Handler<Events[K]>> } = {};

  /** Calls the handler at each such event, until what is returned is called. */
  on<K extends keyof Events>(event: K, handler: Handler<Events[K]>): () => void {
    const handlers = (this.#handlers[event] ??= new Set());
    handlers.add(handler);
    return () => void handlers.delete(handler);
  }

  protected emit<K extends keyof Events>(event: K, ...args: Events[K]): void {
    this.#handlers[event]?.forEach((handler) => handler(...args));
  }
}
