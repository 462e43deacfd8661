// node:http with nothing on top, the careful way: one buffer for all clients of a broadcast.
import { serveBare } from './http-bare.js'

export const driver = serveBare((data) => Buffer.from(`data: ${data}\n\n`))
