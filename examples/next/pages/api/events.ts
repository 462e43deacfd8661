// A pages API route has Node's request and response: all that the library can do, it does here.
import type { NextApiRequest, NextApiResponse } from 'next'
import { createEventStream } from 'tcp-sse'
import { news } from '../../news'

export default async function handler(req: NextApiRequest, res: NextApiResponse): Promise<void> {
  const stream = createEventStream(req, res, { detectWithin: 10_000 })
  news.subscribe(stream)
  // Next.js takes a handler that has returned for one that has answered.
  await stream.closed
}
