// Where a command writes, and how it learns that it must end.
import { sleep } from '../internal/scheduling.js'

/** The environment of a command. */
export interface Io {
  readonly stdout: NodeJS.WriteStream
  readonly stderr: NodeJS.WriteStream
  /** Aborted by SIGINT, SIGTERM and SIGHUP, and when stdout cannot be written to any more. */
  readonly signal: AbortSignal
  /** Why stdout cannot be written to, if that is not the absence of a reader: a full disk, for example. */
  readonly failure: () => Error | undefined
}

/** The environment of this process. */
export function processIo(): Io {
  const end = new AbortController()
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.once(name, () => end.abort(name))
  }
  let failure: NodeJS.ErrnoException | undefined
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') failure = error
    end.abort('stdout')
  })
  // The command goes on without a reader of its messages.
  process.stderr.on('error', () => {})
  const { stdout, stderr } = process
  return { stdout, stderr, signal: end.signal, failure: () => failure }
}

/** Waits, and keeps the process alive, until the time has passed or the command must end. */
export async function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  if (!signal.aborted) await sleep(milliseconds, signal)
}
