// Lists all live streams of the process from existing data, because a separate list would cost each stream memory.

import { isBranded, versionOf } from '../internal/shared.js'
import { monitors } from '../liveness/process-monitors.js'
import type { LiveStream } from './live-stream.js'
import { unwatched } from './unwatched.js'

/**
 * Every stream that has not ended. Do not keep the iterator across turns of the event loop, because the monitor's list
 * changes.
 */
export function* liveStreams(): Generator<LiveStream, void, undefined> {
  for (const monitor of monitors) {
    for (const watcher of monitor.watchers()) if (isStream(watcher)) yield watcher
  }
  yield* unwatched as Set<LiveStream>
}

/** Whether a value is a stream of this library, created by any copy of this version. */
export function isStream(value: unknown): value is LiveStream {
  return isBranded(value, 'EventStream')
}

/** The message for a value that is not a stream of this version. */
export function notAStream(value: unknown, what: string): string {
  const version = versionOf(value, 'EventStream')
  return version === undefined
    ? what
    : `${what} This stream belongs to tcp-sse ${version}, another version. Install a single version.`
}
