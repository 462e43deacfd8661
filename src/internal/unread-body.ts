// Request bodies that the application does not read.
import type { IncomingMessage } from 'node:http'

/**
 * Discards an unread request body, because it hides the client's FIN. Does nothing if the application has begun to read
 * the
 * body or the request is complete.
 */
export function discardUnread(req: IncomingMessage): void {
  if (req.complete || req.readableFlowing !== null || req.listenerCount('readable') > 0) return
  req.resume()
}
