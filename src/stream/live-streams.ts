// All live streams of the process, from where they are known anyway: a list of its own would cost each of them.

import { isBranded, versionOf } from '../internal/shared.js'
import { monitors } from '../liveness/process-monitors.js'
import type { LiveStream } from './live-stream.js'
import { unwatched } from './unwatched.js'

/** Every stream that has not ended. Not to be kept over a turn of the event loop: the monitor's list changes. */
export function* liveStreams(): Generator<LiveStream, void, undefined> {
  for (const monitor of monitors) {
    for (const watcher of monitor.watchers()) if (isStream(watcher)) yield watcher
  }
  yield* unwatched as Set<LiveStream>
}

/** Whether this is a stream of this library, whichever copy has made it. */
export function isStream(value: unknown): value is LiveStream {
  return isBranded(value, 'EventStream')
}

/** What is to be said of something that is no stream of this version. */
export function notAStream(value: unknown, what: string): string {
  const version = versionOf(value, 'EventStream')
  return version === undefined
    ? what
    : `${what} This one is of tcp-sse ${version}, another version.`
}
