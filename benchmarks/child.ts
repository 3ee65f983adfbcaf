/** The process of one variant: plays a round whenever it is asked to. */
import type { Figure } from './harness'

async function main ([file, title, name]: string[]): Promise<void> {
  const { default: figures } = require(file) as { default: Figure[] }
  const round = await figures.find((figure) => figure.title === title)!.variants[name]()
  process.on('message', async () => {
    const value = await round()
    process.send!(value)
  })
  // Whatever the variant left open ends with it.
  process.on('disconnect', () => process.exit())
  process.send!(0)
}

main(process.argv.slice(2))
