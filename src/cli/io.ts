// Where a command writes, and how it learns that it is to end.
import { sleep } from '../internal/scheduling.js'

/** The world as a command sees it. */
export interface Io {
  readonly stdout: NodeJS.WriteStream
  readonly stderr: NodeJS.WriteStream
  /** Aborted by SIGINT, SIGTERM and SIGHUP, and when nobody reads stdout any more. */
  readonly signal: AbortSignal
}

/** This process's own. */
export function processIo(): Io {
  const end = new AbortController()
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.once(name, () => end.abort(name))
  }
  process.stdout.on('error', () => end.abort('stdout'))
  return { stdout: process.stdout, stderr: process.stderr, signal: end.signal }
}

/** Waits, and keeps the process alive, until the time is over or the command is to end. */
export async function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  if (!signal.aborted) await sleep(milliseconds, signal)
}
