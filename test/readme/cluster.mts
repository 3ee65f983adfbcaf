const migrate = async (): Promise<void> => {}
const poll = async (): Promise<void> => { process.send?.('polled') }
// --- the block ---
if (cluster.isPrimary) {
  let polled = 0
  await Promise.all(Object.values(cluster.workers!).map((worker) => new Promise((resolve) => {
    worker!.on('message', () => { polled++ })
    worker!.on('exit', resolve)
  })))
  assert.equal(polled, 3)
} else {
  await app.getTask('poller')
  await app.close()
  process.disconnect()
}
