// The reading side: as fast as it can, or not at all.
import net from 'node:net'
import { answer } from '../../src/testing/index.js'

let socket: net.Socket | undefined

answer({
  async open({
    host,
    port,
    lowat,
    read,
  }: {
    host: string
    port: number
    lowat: string
    read: boolean
  }) {
    socket?.destroy()
    const buffer = Buffer.alloc(262_144)
    const one = net.connect({ host, port, onread: { buffer, callback: () => read } })
    socket = one
    one.on('error', () => {})
    await new Promise((resolve) => one.once('connect', resolve))
    one.write(`GET /?lowat=${lowat} HTTP/1.1\r\nHost: bench\r\n\r\n`)
    await new Promise((resolve) => setTimeout(resolve, 200))
  },
})
