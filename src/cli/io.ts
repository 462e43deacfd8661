// Where a command writes, and how it learns that it must end.
import { sleep } from '../internal/scheduling.js'

/** The environment of a command. */
export interface Io {
  readonly stdout: NodeJS.WriteStream
  readonly stderr: NodeJS.WriteStream
  /** Aborted by SIGINT, SIGTERM and SIGHUP, and when stdout has no reader any more. */
  readonly signal: AbortSignal
}

/** The environment of this process. */
export function processIo(): Io {
  const end = new AbortController()
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.once(name, () => end.abort(name))
  }
  process.stdout.on('error', () => end.abort('stdout'))
  return { stdout: process.stdout, stderr: process.stderr, signal: end.signal }
}

/** Waits, and keeps the process alive, until the time has passed or the command must end. */
export async function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  if (!signal.aborted) await sleep(milliseconds, signal)
}
