// A feed over a WebSocket, and for each client a task that receives its messages.
import { once } from 'node:events'
import fastifyWebsocket from '@fastify/websocket'
import closeWithGrace from 'close-with-grace'
import Fastify from 'fastify'
import fastifyTasks from 'fastify-tasks'

async function main (): Promise<void> {
  const app = Fastify()
  await app.register(fastifyWebsocket)
  await app.register(fastifyTasks)

  app.get('/feed', { websocket: true }, (socket, request) => {
    // Attached at once: a message that arrives before the receiver starts would be lost.
    socket.on('message', (message) => socket.send(`received: ${message.toString()}`))

    const receiver = app.addTask(async (_app, { name, signal }) => {
      console.log(`${name} has started`)
      await once(signal, 'abort')
      socket.close()
    }, { name: `receiver:${request.id}` })

    socket.on('close', async () => {
      await app.cancelTask(receiver.name, 'the client has left')
      console.log(`${receiver.name} is ${receiver.state}, ${app.purgeTasks()} purged, ${app.tasks.size} left`)
    })
  })

  closeWithGrace(() => app.close())
  const address = await app.listen({ port: Number(process.env.PORT ?? 3000) })
  console.log(`Listening at ${address.replace('http', 'ws')}/feed`)
}

main()
