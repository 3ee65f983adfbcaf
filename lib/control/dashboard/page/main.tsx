import { render } from 'preact'
import { Acts } from './acts'
import { App } from './app'
import { Controller } from './controller'

const controller = new Controller(new URL('.', import.meta.url))
render(<App controller={controller} acts={new Acts(controller)} />, document.getElementById('app')!)
controller.connection.connect()
