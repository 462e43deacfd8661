// A pages API route has Node's request and response, so all features of the library work.
import type { NextApiRequest, NextApiResponse } from 'next'
import { createEventStream } from 'tcp-sse'
import { news } from '../../news'

export default async function handler(req: NextApiRequest, res: NextApiResponse): Promise<void> {
  const stream = createEventStream(req, res, { detectWithin: 10_000 })
  news.subscribe(stream)
  // Next.js considers a request answered when its handler has returned.
  await stream.closed
}
