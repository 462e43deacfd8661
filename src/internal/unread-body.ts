// A request's body that nobody reads.
import type { IncomingMessage } from 'node:http'

/** Discards it, unless somebody has begun to read it or the request is whole: it hides the client's FIN. */
export function discardUnread(req: IncomingMessage): void {
  if (req.complete || req.readableFlowing !== null || req.listenerCount('readable') > 0) return
  req.resume()
}
