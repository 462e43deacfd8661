// node:http with nothing on top, the way that most people write it: a template string for each write.
import { serveBare } from './http-bare.js'

export const driver = serveBare((data) => `data: ${data}\n\n`)
