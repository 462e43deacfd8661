// What a test opens is closed after it. Importing this file registers the hook; hooks of the importing file run before it.
import { afterEach } from 'vitest'
import { type Listener, listenOn } from './ports.js'

export type Cleanup = (() => void)[]

/** What undoes the running test. */
export const cleanup: Cleanup = []

/** Undoes everything up to now, newest first. */
export function undoAll(): void {
  for (const undo of cleanup.splice(0).reverse()) undo()
}

afterEach(undoAll)

/** Listens on a free port of 127.0.0.1 until the end of the test. */
export async function listen(server: Listener): Promise<number> {
  const port = await listenOn(server)
  cleanup.push(() => {
    server.close()
    server.closeAllConnections?.()
  })
  return port
}
