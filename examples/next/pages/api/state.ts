// For the test: how many are subscribed.
import type { NextApiRequest, NextApiResponse } from 'next'
import { news } from '../../news'

export default function handler(_req: NextApiRequest, res: NextApiResponse): void {
  res.json({ size: news.size })
}
