// The servers of a trial, whatever their engine: processes that can be killed.

/** Several servers, and one place that publishes and is never killed. */
export interface Fleet {
  /** Where clients can connect now. */
  ports(): number[]
  /** Publishes `{ n, at }`. Rejects with a `code` as `broadcast` does. */
  publish(n: number): Promise<void>
  /** Kills one server (SIGKILL), and starts another in its place. */
  killOne(): Promise<void>
  /** How often the log was read for clients that came back, by all servers that are alive. */
  reads(): Promise<number>
  stop(): Promise<void>
}
