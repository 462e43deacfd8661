// A route handler: the web's Request and Response. Next.js shows nobody the socket, so the client is known by
// the body's cancellation only; see docs/adapters.md.
import { createEventResponse } from 'tcp-sse/web'
import { news } from '../../news'

export const dynamic = 'force-dynamic'

export function GET(request: Request): Response {
  const { response, stream } = createEventResponse(request)
  news.subscribe(stream)
  return response
}
