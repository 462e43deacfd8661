// A route handler, with the web's Request and Response. Next.js does not expose the socket, so the
// end of a client is only known from the cancellation of the body; see docs/adapters.md.
import { createEventResponse } from 'tcp-sse/web'
import { news } from '../../news'

export const dynamic = 'force-dynamic'

export function GET(request: Request): Response {
  const { response, stream } = createEventResponse(request)
  news.subscribe(stream)
  return response
}
