/** What a device connects with: the answer of your server, which asks Herald for the token. */
export interface Credentials {
  url: string; // ws:// or wss:// in a browser; mqtt:// or mqtts:// too in Node
  client_id: string; // the device
  username: string; // app/device
  password: string; // the device's token
  expires_at?: string; // of the token, RFC 3339; a fresh one is asked for before
}

/** Where a device is: degrees, metres, and a time as in RFC 3339. */
export interface Position {
  lat: number;
  lon: number;
  accuracy_m?: number;
  at?: string;
}

/** Where cursors and what was shown are kept. Give one that outlives the page. */
export interface Store {
  get(key: string): any;
  set(key: string, value: any): void;
}
export function memoryStore(): Store;
export function localStore(prefix?: string): Store;

export interface Notification {
  id: string;
  notification: string;
  title?: string;
  body?: string;
  data?: Record<string, string>;
  collapse_key?: string;
  silent?: boolean;
  sent_at: string;
  expires_at?: string;
}

export interface Message {
  conversation: string;
  seq: number; // from 1, without a gap
  sender: string;
  client_id: string;
  kind: "text" | "image" | "file" | "voice" | "location" | "card" | "custom" | "recall" | "edit" | "system";
  body: Record<string, any>;
  reply_to?: number;
  mentions?: string[];
  at: string;
  target?: number;
  edited_at?: string;
  recalled?: boolean;
  reactions?: Record<string, number>;
}

export interface Events {
  /** A notification that was not shown before. It is acknowledged once the listener has returned. */
  notification: Notification;
  /** What was said, each number of a conversation once and in order. */
  message: Message;
  /** A conversation as the pull after a connection found it. */
  conversation: Record<string, any>;
  /** What is unread in all. */
  unread: number;
  /** The pull after a connection is done. */
  synced: void;
  cursor: { conversation: string; user: string; received: number; read: number };
  typing: { conversation: string; user: string };
  reaction: { conversation: string; seq: number; user: string };
  friends: {};
  /** Who of the watched has come (true) or gone. */
  presence: { users: Record<string, boolean> };
  state: "connecting" | "connected" | "waiting" | "taken over" | "stopped";
  fault: Error;
}

export class Refusal extends Error {
  code: string; // of a call also "timeout" and "disconnected"
  field?: string;
  status?: number; // of HTTP
  faults?: { field: string; detail: string }[];
  part?: string; // of a call to several back ends: the one that failed
  retry_after_seconds?: number;
}

/** What a business answered, in the form of the version that was asked. */
export interface Answer<Output = any> {
  version: number;
  output?: Output; // not there if not_modified
  page?: { next: string }; // not there on the last page
  partial?: { part: string; code: string }[];
  deprecated?: { since: string; sunset?: string; use?: number };
  cached?: "hit" | "stale";
  etag: string;
  not_modified?: boolean;
}

export class Herald {
  constructor(options: {
    mqtt: any; // the module "mqtt"
    credentials: () => Promise<Credentials>;
    api?: string; // Herald's address; without it there is no chat
    store?: Store;
    network?: string; // names the network for the heartbeat, such as "wifi:home"
  });
  on<E extends keyof Events>(what: E, listener: (value: Events[E]) => void): () => void;
  start(): Promise<void>;
  stop(): void;
  displayed(n: Notification): Promise<void>;
  /** Tells where the device is, or was within the last day; false means that there is no connection. */
  position(where: Position | Position[]): Promise<boolean>;
  clicked(n: Notification): Promise<void>;
  /** Resolves with the message once it is durable and numbered; rejects with a {@link Refusal}. */
  send(m: { to?: string; conversation?: string; text?: string; kind?: string; body?: object; reply_to?: number; mentions?: string[]; client_id?: string }): Promise<Message>;
  edit(conversation: string, seq: number, body: object): Promise<boolean>;
  recall(conversation: string, seq: number): Promise<boolean>;
  read(conversation: string, seq: number): Promise<boolean>;
  typing(conversation: string): Promise<boolean>;
  /** Whose presence to hear of, at most 200 users; none ends it. It outlives the connection. */
  watch(users: string[]): Promise<boolean>;
  history(conversation: string, range?: { before?: number; limit?: number }): Promise<Message[]>;
  /**
   * Asks a business: name is service.operation, such as "jobs.search". Waits for a connection if there is none, and is made
   * once. Rejects with a {@link Refusal}, or with the signal's reason; Herald is then told that nobody waits any longer.
   */
  call<Output = any>(
    name: string,
    input?: any,
    options?: { version?: number; page?: { cursor?: string; limit?: number }; etag?: string; timeout?: number; signal?: AbortSignal },
  ): Promise<Answer<Output>>;
  /** Anything else under /v1/im, with the device's token. */
  request(method: string, path: string, body?: object): Promise<any>;
}

export class Heartbeat {
  constructor(options: { store: Store; network?: string; most?: number; now?: () => number });
  seconds: number;
  went(well: boolean): void;
}
export function pause(tries: number, random?: () => number): number;
/** The pause in milliseconds where the server asked for at least `retry` seconds. */
export function later(retry: number, tries: number, random?: () => number): number;
