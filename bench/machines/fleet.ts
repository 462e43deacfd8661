// The servers of a trial, for all engines: processes that can be killed.

/** Several servers, and one publisher, which is never killed. */
export interface Fleet {
  /** Where clients can connect now. */
  ports(): number[]
  /** Publishes `{ n, at }`. Rejects with a `code`, as `broadcast` does. */
  publish(n: number): Promise<void>
  /** Kills one server (SIGKILL), and starts another in its place. */
  killOne(): Promise<void>
  /** How often the log was read for clients that reconnected, summed over all running servers. */
  reads(): Promise<number>
  stop(): Promise<void>
}
