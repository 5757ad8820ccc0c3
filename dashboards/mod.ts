// The door of dashboards/: the HTTP port with the wall, health, metrics and the browsers' WebSocket.
export { type Dashboard, type DashboardHealth, type DashboardOptions, startDashboard } from "./server.ts";
