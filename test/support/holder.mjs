// An independent server in a separate process: prints its port, and a word for each connection that ends.
import net from 'node:net'

const server = net.createServer((socket) => {
  socket.on('error', ({ code }) => console.log(code))
  socket.resume()
})
server.listen(0, () => console.log(server.address().port))
