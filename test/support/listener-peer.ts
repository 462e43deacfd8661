// Listeners that throw, in a process of their own: what they throw is uncaught there.
import { createChannel, createEventStream, type EventStream } from '../../src/index.js'
import { answer } from '../../src/testing/index.js'
import { listen, serverOf } from './framework-servers.js'
import { connect, type ProtocolClient } from './protocol-client.js'
import { waitFor } from './wait-for.js'

const boom = new Error('boom')
let uncaught: string[] = []
process.on('uncaughtException', ({ message }) => uncaught.push(message))

answer({
  signalListener: () =>
    withTwo(async ([crashing]) => {
      crashing.signal.addEventListener('abort', () => {
        throw boom
      })
      await crashing.close()
      await waitFor('the exception', () => uncaught.length > 0)
    }),
  filter: () =>
    withTwo(async (streams) => {
      const channel = createChannel()
      for (const [index, stream] of streams.entries()) {
        channel.subscribe(stream, {
          filter() {
            if (index === 0) throw boom
            return true
          },
        })
      }
      await channel.broadcast({ data: 'to all' })
    }),
})

/** Two streams, a crash in the first, and how both have fared. */
async function withTwo(crash: (streams: [EventStream, EventStream]) => Promise<void>) {
  uncaught = []
  const streams: EventStream[] = []
  const { port, close } = await listen(
    serverOf('http', (req, res) => void streams.push(createEventStream(req, res))),
  )
  const clients: ProtocolClient[] = [await connect('http', port), await connect('http', port)]
  await crash(streams as [EventStream, EventStream])
  const crashed = (await streams[0]?.closed)?.reason
  const other = streams[1]?.send({ data: 'still here' })
  await waitFor('the event', () => clients[1]?.text().includes('still here'))
  const otherText = clients[1]?.text()
  close()
  return { uncaught, crashed, other, otherText }
}
