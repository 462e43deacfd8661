// For the test: the number of subscribers.
import type { NextApiRequest, NextApiResponse } from 'next'
import { news } from '../../news'

export default function handler(_req: NextApiRequest, res: NextApiResponse): void {
  res.json({ size: news.size })
}
