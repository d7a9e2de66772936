class NetworkClassifier: pass
class NetworkRegressor: pass
