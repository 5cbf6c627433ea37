// What goes over the wire: plugins/chat-rooms/PROTOCOL.md as types.

/** Who somebody is to others in a room. */
export interface Member {
  name: string;
  socket: string;
  user?: string;
}

export interface Reaction {
  emoji: string;
  count: number;
  mine: boolean;
}

/** A message to a room (`room`) or to a user (`to`), live or from the history. */
export interface Message extends Member {
  room?: string;
  to?: string;
  id: number;
  time_ms: number;
  text: string;
  client_id?: string;
  reply_to?: number;
  mentions?: { name: string; user?: string; sockets?: string[] }[];
  edited_ms?: number;
  deleted?: boolean;
  reactions?: Reaction[];
}

export interface JoinAck {
  room: string;
  you: Member;
  members: Member[];
  members_count: number;
  topic: string | null;
  last_id: number;
}

export interface SentAck {
  id: number;
  time_ms: number;
}

export interface HistoryAck {
  messages: Message[];
  more: boolean;
}

/** Who wrote to this client's user, or was written to. */
export interface DirectsAck {
  directs: { user: string; last_id: number; unread: number }[];
}

/** Who this client is, as the node says it after connecting. */
export interface Identity {
  user: string;
  name?: string;
  roles: string[];
  guest: boolean;
}

/** Something that was done to a message of a room, or of `by` and the user `to`. */
export interface Act {
  room?: string;
  to?: string;
  id: number;
  by: Member;
  time_ms: number;
}

export interface Edited extends Act {
  text: string;
}

export interface Reacted extends Act {
  emoji: string;
  on: boolean;
  count: number;
}

/** What a refused ack holds, and an `error` event. */
export interface WireError {
  code: string;
  message: string;
  reason?: { code: string; message: string; data?: unknown };
}
